//! Sets of addresses as sorted, disjoint, inclusive ranges. A question about "a packet from anywhere" is answered for all
//! senders at once by carrying such a set through the rules; ports and other numbers use the same type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A set of numbers; addresses are numbers of 32 or 128 bits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span(Vec<(u128, u128)>);

impl Span {
    pub fn empty() -> Self {
        Span(Vec::new())
    }
    pub fn one(n: u128) -> Self {
        Span(vec![(n, n)])
    }
    /// From `low` to `high`, both inside; the wrong way round it is empty.
    pub fn range(low: u128, high: u128) -> Self {
        if low <= high { Span(vec![(low, high)]) } else { Span::empty() }
    }
    /// Every address of a family.
    pub fn all(v6: bool) -> Self {
        Span::range(0, if v6 { u128::MAX } else { u32::MAX.into() })
    }
    pub fn of(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(a, b)| a <= b).collect();
        ranges.sort_unstable();
        let mut out: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match out.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => out.push((low, high)),
            }
        }
        Span(out)
    }
    /// The addresses of `addr/len`, whatever bits `addr` has beyond the length.
    pub fn prefix(addr: IpAddr, len: u8) -> Self {
        let (n, bits) = (number(addr), width(addr.is_ipv6()));
        let host = if len == 0 { ones(bits) } else { ones(bits.saturating_sub(u32::from(len))) };
        Span::range(n & !host, n | host)
    }

    pub fn ranges(&self) -> &[(u128, u128)] {
        &self.0
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// How many numbers are in it, about: all of IPv6 counts as one less than it is.
    pub fn size(&self) -> u128 {
        self.0.iter().fold(0, |n: u128, (low, high)| n.saturating_add(high - low).saturating_add(1))
    }
    pub fn contains(&self, n: u128) -> bool {
        let at = self.0.partition_point(|(low, _)| *low <= n);
        at.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, high)| n <= *high)
    }
    pub fn covers(&self, other: &Span) -> bool {
        other.minus(self).is_empty()
    }

    pub fn union(&self, other: &Span) -> Span {
        Span::of(self.0.iter().chain(&other.0).copied())
    }

    pub fn intersect(&self, other: &Span) -> Span {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut out = Vec::new();
        while let (Some(&&(al, ah)), Some(&&(bl, bh))) = (a.peek(), b.peek()) {
            let (low, high) = (al.max(bl), ah.min(bh));
            if low <= high {
                out.push((low, high));
            }
            if ah < bh {
                a.next();
            } else {
                b.next();
            }
        }
        Span(out)
    }

    pub fn minus(&self, other: &Span) -> Span {
        let mut out = Vec::new();
        let mut cuts = other.0.iter().peekable();
        for &(low, high) in &self.0 {
            let mut from = Some(low);
            while let (Some(start), Some(&&(cl, ch))) = (from, cuts.peek()) {
                if ch < start {
                    cuts.next();
                    continue;
                }
                if cl > high {
                    break;
                }
                if cl > start {
                    out.push((start, cl - 1));
                }
                from = ch.checked_add(1).filter(|next| *next <= high);
                if ch >= high {
                    break; // it may cut the next range as well
                }
                cuts.next();
            }
            if let Some(start) = from {
                out.push((start, high));
            }
        }
        Span(out)
    }

    /// As networks in `10.0.0.0/8` form, at most `most` of them and then an ellipsis.
    pub fn words(&self, v6: bool, most: usize) -> Vec<String> {
        let mut out = Vec::new();
        for &(low, high) in &self.0 {
            let mut from = Some(low);
            while let Some(start) = from {
                if out.len() == most {
                    out.push("…".to_owned());
                    return out;
                }
                let bits = width(v6);
                let aligned = if start == 0 { bits } else { start.trailing_zeros().min(bits) };
                let fits = (0..=aligned).rev().find(|n| high - start >= ones(*n)).unwrap_or(0);
                let (addr, len) = (address(start, v6), bits - fits);
                out.push(if fits == 0 { addr.to_string() } else { format!("{addr}/{len}") });
                from = start.checked_add(ones(fits)).and_then(|end| end.checked_add(1)).filter(|next| *next <= high);
            }
        }
        out
    }
}

/// An address as a number.
pub fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => u32::from(a).into(),
        IpAddr::V6(a) => a.into(),
    }
}

pub fn address(n: u128, v6: bool) -> IpAddr {
    match u32::try_from(n) {
        Ok(small) if !v6 => Ipv4Addr::from(small).into(),
        _ => Ipv6Addr::from(n).into(),
    }
}

/// Bits of an address.
pub fn width(v6: bool) -> u32 {
    if v6 { 128 } else { 32 }
}

/// The number whose lowest `bits` bits are set.
pub fn ones(bits: u32) -> u128 {
    match bits {
        0 => 0,
        1..=127 => (1 << bits) - 1,
        _ => u128::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small() -> impl Strategy<Value = Span> {
        prop::collection::vec((0u128..60, 0u128..12), 0..6)
            .prop_map(|v| Span::of(v.into_iter().map(|(low, len)| (low, low + len))))
    }

    proptest! {
        #[test]
        fn operations_are_those_of_sets(a in small(), b in small()) {
            for n in 0..80 {
                let (x, y) = (a.contains(n), b.contains(n));
                prop_assert_eq!(a.union(&b).contains(n), x || y);
                prop_assert_eq!(a.intersect(&b).contains(n), x && y);
                prop_assert_eq!(a.minus(&b).contains(n), x && !y);
            }
            for s in [a.union(&b), a.intersect(&b), a.minus(&b)] {
                prop_assert!(s.ranges().windows(2).all(|w| w[0].1 < w[1].0));
            }
        }

        #[test]
        fn networks_are_the_set_again(low in any::<u32>(), len in 0u32..5000) {
            let span = Span::range(low.into(), low.saturating_add(len).into());
            let back = span.words(false, 100).into_iter().map(|w| {
                let (addr, len) = w.split_once('/').unwrap_or((&w, "32"));
                Span::prefix(addr.parse().unwrap(), len.parse().unwrap())
            });
            prop_assert_eq!(back.fold(Span::empty(), |a, b| a.union(&b)), span);
        }
    }

    #[test]
    fn the_ends_of_the_numbers() {
        let all = Span::all(true);
        assert!(all.minus(&all).is_empty());
        assert_eq!(all.minus(&Span::one(u128::MAX)).ranges(), [(0, u128::MAX - 1)]);
        assert_eq!(all.words(true, 5), ["::/0"]);
        assert_eq!(Span::all(false).words(false, 5), ["0.0.0.0/0"]);
        assert_eq!(Span::prefix("10.9.9.9".parse().unwrap(), 8).words(false, 5), ["10.0.0.0/8"]);
        assert_eq!(Span::range(1, 6).words(false, 2), ["0.0.0.1", "0.0.0.2/31", "…"]);
    }
}
