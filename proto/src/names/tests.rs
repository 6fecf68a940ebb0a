use super::place_of;

enum Shape {
    Dot,
    Line { _len: u32 },
    Text(&'static str),
}

impl Shape {
    crate::named_variants! {
        pub(super), "shapes":
        Self::Dot => "dot",
        Self::Line { .. } => "line",
        Self::Text(_) => "dotted",
    }
}

#[test]
fn number_is_the_place_of_the_name() {
    let shapes = [Shape::Dot, Shape::Line { _len: 3 }, Shape::Text("x")];
    assert_eq!(Shape::NAMES, ["dot", "line", "dotted"]);
    for (place, shape) in shapes.iter().enumerate() {
        assert_eq!((shape.number(), shape.name()), (place, Shape::NAMES[place]));
    }
    assert!(matches!(shapes[2], Shape::Text("x")));
}

#[test]
#[should_panic(expected = "stands for two variants")]
fn name_stands_for_one_variant() {
    let _ = place_of("a", &["a", "b", "a"]);
}
