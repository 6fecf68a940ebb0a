use proptest::prelude::*;

use super::*;

const OBJECT: ObjectId = ObjectId(77);
const FRAME: usize = FRAME_SIZE as usize;

/// Bytes that LZ4 cannot shrink.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn decode_all(piece: &Piece, object: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut plain = Vec::new();
    for (index, frame) in piece.frames.iter().enumerate() {
        let offset = offset_of(piece, index);
        let end = offset as usize + frame.stored_len() as usize;
        let stored = Bytes::copy_from_slice(&object[offset as usize..end]);
        plain.extend_from_slice(&decode(piece.object, offset, *frame, piece.frame_len(index), stored)?);
    }
    Ok(plain)
}

#[test]
fn text_shrinks_and_noise_is_stored_as_it_is() {
    let text = Bytes::from(b"to be or not to be ".repeat(20_000));
    let (piece, body) = encode(OBJECT, 0, std::slice::from_ref(&text), Compression::Lz4);
    assert!(piece.frames.iter().all(|frame| frame.is_compressed()));
    assert!(body.concat().len() < text.len() / 10);

    let noise = Bytes::from(noise(FRAME + 1, 3));
    let (piece, body) = encode(OBJECT, 0, std::slice::from_ref(&noise), Compression::Lz4);
    assert!(piece.frames.iter().all(|frame| !frame.is_compressed()));
    assert_eq!(body.concat().len(), noise.len() + 2 * CHECKSUM_LEN);
    assert!(noise.as_ptr_range().contains(&body[0].as_ptr()), "what does not shrink is not copied");
}

#[test]
fn frame_of_another_object_or_place_is_refused() {
    let data = Bytes::from(noise(1000, 9));
    let (piece, body) = encode(OBJECT, 0, &[data], Compression::None);
    let stored = Bytes::from(body.concat());
    let decode = |object, offset| decode(object, offset, piece.frames[0], 1000, stored.clone());
    assert!(decode(OBJECT, 0).is_ok());
    assert_eq!(decode(ObjectId(78), 0).unwrap_err().kind, StoreErrorKind::Corrupt);
    assert_eq!(decode(OBJECT, 1).unwrap_err().kind, StoreErrorKind::Corrupt);
}

#[test]
fn compressed_frame_that_claims_another_length_is_refused() {
    let data = Bytes::from(vec![7; 5000]);
    let (piece, body) = encode(OBJECT, 0, &[data], Compression::Lz4);
    let stored = Bytes::from(body.concat());
    for len in [0, 1, 4999, 5001, FRAME_SIZE, u32::MAX] {
        let error = decode(OBJECT, 0, piece.frames[0], len, stored.clone()).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn decoding_gives_back_what_was_encoded(
        parts in prop::collection::vec((0usize..90_000, any::<bool>(), any::<u64>()), 1..6),
        origin in 0u32..1000,
        compress in any::<bool>(),
    ) {
        let chunks: Vec<Bytes> = parts
            .iter()
            .map(|&(len, random, seed)| if random { noise(len, seed) } else { vec![seed as u8; len] }.into())
            .collect();
        let plain = chunks.concat();
        prop_assume!(!plain.is_empty());
        let compression = if compress { Compression::Lz4 } else { Compression::None };
        let (piece, body) = encode(OBJECT, origin, &chunks, compression);
        prop_assert!(piece.is_valid(proto::BLOCK_SIZE_MAX));
        prop_assert_eq!((piece.start, piece.end), (origin, origin + plain.len() as u32));
        prop_assert_eq!(decode_all(&piece, &body.concat()).unwrap(), plain);
    }

    #[test]
    fn flipped_bit_is_detected(len in 1usize..3000, random in any::<bool>(), place in any::<prop::sample::Index>(), bit in 0u32..8) {
        let data = if random { noise(len, 5) } else { vec![1; len] };
        let (piece, body) = encode(OBJECT, 0, &[data.into()], Compression::Lz4);
        let mut object = body.concat();
        let place = place.index(object.len());
        object[place] ^= 1u8 << bit;
        prop_assert_eq!(decode_all(&piece, &object).unwrap_err().kind, StoreErrorKind::Corrupt);
    }

    #[test]
    fn random_bytes_are_no_frame_and_do_not_panic(
        stored in prop::collection::vec(any::<u8>(), 0..300),
        len in any::<u32>(),
        compressed in any::<bool>(),
        sealed in any::<bool>(),
    ) {
        let mut stored = stored;
        // With the right checksum behind them the bytes reach the decompressor.
        if sealed {
            let checksum = checksum_of(OBJECT, 5, &[&stored]);
            stored.extend_from_slice(&checksum);
        }
        let frame = StoredFrame::new(stored.len() as u32, compressed);
        let decoded = decode(OBJECT, 5, frame, len, stored.into());
        prop_assert!(sealed || decoded.is_err());
    }
}
