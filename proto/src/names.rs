//! Names and numbers of an enum's variants, from one table.

/// Gives an enum `NAMES`, `name` and `number`, from one line for each of its variants: the number is the line's place.
#[macro_export]
macro_rules! named_variants {
    ($visibility:vis, $what:literal: $($variant:pat => $name:literal,)+) => {
        #[doc = concat!("Names of all ", $what, ", each at its `number`.")]
        $visibility const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];

        /// Name in logs and metrics.
        #[must_use]
        $visibility const fn name(&self) -> &'static str {
            Self::NAMES[self.number()]
        }

        #[doc = concat!("Which of the ", $what, " it is: a place in a table of all of them.")]
        #[must_use]
        $visibility const fn number(&self) -> usize {
            match self {
                $($variant => const { $crate::place_of($name, &Self::NAMES) },)+
            }
        }
    };
}

/// Place of `name` in `names`, for [`named_variants!`](crate::named_variants).
///
/// # Panics
/// If it is not there, or there twice: when the program is compiled.
#[must_use]
pub const fn place_of(name: &str, names: &[&str]) -> usize {
    let (mut found, mut place) = (None, 0);
    while place < names.len() {
        if is_same(name.as_bytes(), names[place].as_bytes()) {
            assert!(found.is_none(), "a name stands for two variants");
            found = Some(place);
        }
        place += 1;
    }
    found.expect("each variant's name is in the table")
}

/// `==`, which constants cannot have of slices yet.
const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}

#[cfg(test)]
mod tests;
