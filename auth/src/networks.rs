//! `Networks`: where mounts may come from, as a list of CIDR blocks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Blocks in a list.
const BLOCKS_MAX: usize = 64;

/// Networks that something is allowed from. The empty list allows every address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Block>);

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    addr: IpAddr,
    prefix: u8,
}

/// Text that is no list of networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// One that is no block.
    #[error("network {0:?}: an address or a CIDR block is needed, such as 10.1.0.0/16 or 2001:db8::/32")]
    Text(String),
    /// A block that says more than it means.
    #[error("network {0:?}: bits behind the prefix are set; {1} is the network")]
    HostBits(String, String),
    /// Too many.
    #[error("{0} networks are given: at most {BLOCKS_MAX} are kept")]
    TooMany(usize),
}

impl Networks {
    /// Whether `addr` may be a peer's. An IPv4 address may come mapped into IPv6.
    #[must_use]
    pub fn allow(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        self.0.is_empty() || self.0.iter().any(|block| block.contains(addr))
    }

    /// Whether every address is allowed.
    #[must_use]
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Networks {
    type Err = BadNetwork;

    /// Reads a comma-separated list. A bare address is the network of itself.
    fn from_str(list: &str) -> Result<Self, BadNetwork> {
        let blocks: Vec<&str> = list.split(',').map(str::trim).filter(|block| !block.is_empty()).collect();
        if blocks.len() > BLOCKS_MAX {
            return Err(BadNetwork::TooMany(blocks.len()));
        }
        blocks.into_iter().map(Block::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Networks {
    /// The list that is read as these networks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&blocks.join(","))
    }
}

impl Block {
    fn parse(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork::Text(text.to_owned());
        let (addr, prefix) = text.split_once('/').map_or((text, None), |(addr, prefix)| (addr, Some(prefix)));
        let addr: IpAddr = addr.parse().map_err(|_| bad())?;
        let prefix = match prefix {
            None => width(addr),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| bad())?,
            Some(_) => return Err(bad()),
        };
        if prefix > width(addr) {
            return Err(bad());
        }
        let block = Self { addr, prefix };
        let network = Self { addr: block.masked(addr), prefix };
        if network == block { Ok(block) } else { Err(BadNetwork::HostBits(text.to_owned(), network.to_string())) }
    }

    fn contains(&self, addr: IpAddr) -> bool {
        self.addr.is_ipv4() == addr.is_ipv4() && self.masked(addr) == self.addr
    }

    /// The address with only the bits that count.
    fn masked(&self, addr: IpAddr) -> IpAddr {
        match addr {
            IpAddr::V4(addr) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((addr.to_bits() & mask).into())
            }
            IpAddr::V6(addr) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((addr.to_bits() & mask).into())
            }
        }
    }
}

fn width(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

#[cfg(test)]
mod tests;
