//! The hash of Erlang's wolff.

/// 2^32 divided by the golden ratio; both the start of the block hash and, thirteen-fold, the mark
/// of a binary.
const GOLDEN: u32 = 0x9e37_79b9;

/// `erlang:phash2/1` of a binary: 27 bits.
///
/// It is Bob Jenkins' hash of 1996 ("lookup2"), started with a constant that stands for Erlang's
/// type.
///
/// ```
/// assert_eq!(wolff_partitioner::phash2(b"key"), 6_681_389);
/// ```
#[must_use]
pub fn phash2(key: &[u8]) -> u32 {
    const LOWEST_27_BITS: u32 = (1 << 27) - 1;
    let start = GOLDEN.wrapping_mul(13);
    let hash = if key.is_empty() {
        start
    } else {
        lookup2(key, start)
    };
    hash & LOWEST_27_BITS
}

fn lookup2(key: &[u8], start: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a Kafka key is shorter than 2 GiB, and the hash takes the length modulo 2^32"
    )]
    let length = key.len() as u32;

    let (blocks, tail) = key.as_chunks::<12>();
    let mut state = State {
        a: GOLDEN,
        b: GOLDEN,
        c: start,
    };
    for block in blocks {
        state.add(words_of(block));
        state.mix();
    }
    // The lowest byte of the third word is the length's, so the last bytes of the tail stand one
    // place higher.
    let mut last = [0; 12];
    let places = (0..8).chain(9..12);
    for (place, byte) in places.zip(tail) {
        if let Some(slot) = last.get_mut(place) {
            *slot = *byte;
        }
    }
    state.add(words_of(&last));
    state.c = state.c.wrapping_add(length);
    state.mix();
    state.c
}

fn words_of(block: &[u8; 12]) -> [u32; 3] {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = *block;
    [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3]].map(u32::from_le_bytes)
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn add(&mut self, [a, b, c]: [u32; 3]) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    fn mix(&mut self) {
        let Self { a, b, c } = self;
        for [first, second, third] in [[13, 8, 13], [12, 16, 5], [3, 10, 15]] {
            *a = a.wrapping_sub(*b).wrapping_sub(*c) ^ (*c >> first);
            *b = b.wrapping_sub(*c).wrapping_sub(*a) ^ (*a << second);
            *c = c.wrapping_sub(*a).wrapping_sub(*b) ^ (*b >> third);
        }
    }
}
