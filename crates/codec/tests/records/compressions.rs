//! Each compression: formats that others write, levels, limits.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use wolff_codec::records::{
    CompressError, Compression, CompressionLevel, DecompressError, compress, decompress,
};

use crate::samples::{AMPLE, any_compression, compressions};

fn pack(compression: Compression, bytes: &[u8]) -> Bytes {
    compress(
        compression,
        CompressionLevel::DEFAULT,
        &[Bytes::copy_from_slice(bytes)],
    )
    .unwrap()
}

proptest! {
    #[test]
    fn any_pieces_compress_like_the_whole(
        pieces in vec((any::<u8>(), 0usize..25_000, any::<bool>()), 0..6),
        compression in any_compression(),
    ) {
        let pieces: Vec<Bytes> = pieces
            .into_iter()
            .map(|(seed, len, is_varied)| (0..len).map(|at| seed ^ u8::from(is_varied && at % 7 == 3)).collect())
            .collect();
        let whole = Bytes::from(pieces.concat());
        let packed = compress(compression, CompressionLevel::DEFAULT, &pieces).unwrap();
        prop_assert_eq!(decompress(compression, &packed, whole.len()).unwrap(), &whole);
        if !whole.is_empty() {
            let error = decompress(compression, &packed, whole.len() - 1).unwrap_err();
            prop_assert!(matches!(error, DecompressError::TooLarge { .. }), "{}", error);
        }
    }

    #[test]
    fn any_bytes_decompress_within_the_limit_or_not_at_all(
        compression in any_compression(),
        bytes in vec(any::<u8>(), 0..300),
        prefix in proptest::sample::select(vec![&b""[..], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"]),
    ) {
        let input = Bytes::from([prefix, &bytes].concat());
        if let Ok(output) = decompress(compression, &input, 1000) {
            prop_assert!(output.len() <= 1000);
        }
    }

    #[test]
    fn damaged_data_never_panics(
        compression in any_compression(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let text = "wolves hunt in packs, ".repeat(200);
        let mut packed = pack(compression, text.as_bytes()).to_vec();
        for (index, flip) in flips {
            *index.get_mut(&mut packed[..]) ^= flip;
        }
        let _ = decompress(compression, &packed.into(), AMPLE);
    }
}

#[test]
fn bombs_are_refused_at_the_limit() {
    for compression in compressions().filter(|&compression| compression != Compression::None) {
        let bomb = pack(compression, &vec![0; 4 << 20]);
        assert!(
            bomb.len() < 200 << 10,
            "{compression}: {} bytes",
            bomb.len()
        );
        match decompress(compression, &bomb, 1 << 20) {
            Err(DecompressError::TooLarge { limit, .. }) => assert_eq!(limit, 1 << 20),
            other => panic!("{compression}: {other:?}"),
        }
    }
}

#[test]
fn truncated_data_is_an_error_at_every_byte_and_so_is_something_behind_it() {
    let text: Vec<u8> = (0..3000u32)
        .flat_map(|number| (number / 5).to_be_bytes())
        .collect();
    for compression in compressions().filter(|&compression| compression != Compression::None) {
        for len in [0, 3, text.len()] {
            let packed = pack(compression, &text[..len]);
            assert_eq!(
                decompress(compression, &packed, AMPLE).unwrap(),
                &text[..len]
            );
            for cut in 0..packed.len() {
                let output = decompress(compression, &packed.slice(..cut), AMPLE);
                let at_a_block_of_snappy =
                    compression == Compression::Snappy && is_between_blocks(&packed, cut);
                assert!(
                    output.is_err() || at_a_block_of_snappy,
                    "{compression}: {cut} of {}",
                    packed.len()
                );
            }
            let longer = Bytes::from([&packed[..], b"\x00\x01"].concat());
            assert!(
                decompress(compression, &longer, AMPLE).is_err(),
                "{compression}"
            );
        }
    }
}

/// The framing of Snappy has no end: a stream cut between two blocks is a shorter one. (The batch's
/// checksum tells.)
fn is_between_blocks(packed: &[u8], cut: usize) -> bool {
    let mut at = 16;
    while at < cut {
        let length = packed[at..at + 4]
            .try_into()
            .map(u32::from_be_bytes)
            .unwrap();
        at += 4 + usize::try_from(length).unwrap();
    }
    at == cut
}

#[test]
fn snappy_without_framing_is_read_too() {
    let text = b"a raw block, as some producers send it".repeat(3);
    let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    assert_eq!(
        decompress(Compression::Snappy, &raw.into(), AMPLE).unwrap(),
        &text
    );
}

#[test]
fn snappy_streams_may_be_concatenated() {
    let both = [
        pack(Compression::Snappy, b"one, "),
        pack(Compression::Snappy, b"two"),
    ]
    .concat();
    assert_eq!(
        decompress(Compression::Snappy, &both.into(), AMPLE).unwrap(),
        &b"one, two"[..]
    );
}

#[test]
fn snappy_is_framed_as_java_frames_it() {
    let packed = pack(Compression::Snappy, &[7; 100_000]);
    assert_eq!(&packed[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let mut blocks = Vec::new();
    let mut rest = &packed[16..];
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (block, behind) =
            behind.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
        blocks.push(snap::raw::decompress_len(block).unwrap());
        rest = behind;
    }
    assert_eq!(blocks, [32_768, 32_768, 32_768, 1_696]);
}

#[test]
fn a_snappy_block_that_claims_more_than_it_can_hold_costs_no_memory() {
    // The length of a raw block, 2^32 - 1, and no data.
    let input = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    let error = decompress(Compression::Snappy, &input, usize::MAX).unwrap_err();
    assert!(matches!(error, DecompressError::Corrupt { .. }), "{error}");
}

#[test]
fn lz4_is_written_as_a_frame_that_the_java_client_reads() {
    let packed = pack(Compression::Lz4, &[7; 100_000]);
    assert_eq!(packed[..4], 0x184d_2204u32.to_le_bytes());
    // Version 1, independent blocks, no checksums, no content size; blocks of 64 KiB.
    assert_eq!(packed[4..6], [0b0110_0000, 0b0100_0000]);
    assert_eq!(packed[packed.len() - 4..], [0; 4]);
}

#[test]
fn levels_change_the_result_and_wrong_ones_are_refused() {
    let text: Vec<u8> = (0..20_000u32)
        .flat_map(|number| (number * number % 977).to_string().into_bytes())
        .collect();
    let text = Bytes::from(text);
    let size = |compression, level| {
        compress(
            compression,
            CompressionLevel::new(level),
            std::slice::from_ref(&text),
        )
        .map(|packed| packed.len())
    };
    assert!(size(Compression::Gzip, 9).unwrap() < size(Compression::Gzip, 1).unwrap());
    for (compression, level) in [
        (Compression::Gzip, 0),
        (Compression::Gzip, 10),
        (Compression::Snappy, 1),
        (Compression::Lz4, 1),
        (Compression::None, 1),
    ] {
        let error = size(compression, level).unwrap_err();
        assert!(matches!(error, CompressError::Level { .. }), "{error}");
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_takes_its_levels_and_several_frames() {
    let text = Bytes::from(b"wolves hunt in packs".repeat(1000));
    for level in [-5, 1, 3, 22] {
        let packed = compress(
            Compression::Zstd,
            CompressionLevel::new(level),
            std::slice::from_ref(&text),
        )
        .unwrap();
        assert_eq!(
            decompress(Compression::Zstd, &packed, text.len()).unwrap(),
            &text
        );
    }
    let error = compress(Compression::Zstd, CompressionLevel::new(23), &[text]).unwrap_err();
    assert_eq!(error.to_string(), "zstd has no level 23");
}

#[cfg(not(feature = "zstd"))]
#[test]
fn without_its_feature_zstd_is_named_as_missing() {
    let error = compress(Compression::Zstd, CompressionLevel::DEFAULT, &[]).unwrap_err();
    assert_eq!(error.to_string(), "zstd is not compiled in");
    let error = decompress(Compression::Zstd, &Bytes::new(), AMPLE).unwrap_err();
    assert_eq!(error.to_string(), "zstd is not compiled in");
}

#[test]
fn without_compression_one_piece_is_shared_and_the_limit_holds() {
    let piece = Bytes::from(vec![1, 2, 3]);
    let whole = compress(
        Compression::None,
        CompressionLevel::DEFAULT,
        std::slice::from_ref(&piece),
    )
    .unwrap();
    assert_eq!(whole.as_ptr(), piece.as_ptr());
    assert_eq!(
        decompress(Compression::None, &whole, 3).unwrap().as_ptr(),
        piece.as_ptr()
    );
    assert!(decompress(Compression::None, &whole, 2).is_err());
}
