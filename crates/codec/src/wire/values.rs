//! The values that messages are made of: numbers, ids, strings, bytes, arrays.

use bytes::Bytes;

use super::Field;
use super::chunks::Chunks;
use super::parse;
use super::put::Encoder;
use super::take::Decoder;
use crate::api::ApiKey;
use crate::broker_ids::BrokerIds;
use crate::error::{DecodeError, EncodeError, Step, Wanted};
use crate::error_code::ErrorCode;
use crate::ids::{
    BrokerId, ClientInstanceId, CorrelationId, DirectoryId, LeaderEpoch, Offset, PartitionId,
    ProducerEpoch, ProducerId, TopicId,
};
use crate::text::Str;

/// Numbers are big-endian.
macro_rules! number {
    ($($number:ty),*) => {$(
        impl Field for $number {
            #[inline]
            fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
                out.put(&self.to_be_bytes());
                Ok(())
            }

            #[inline]
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                const BYTES: usize = size_of::<$number>();
                from.parsed(parse::array(Wanted::Number(BYTES))).map(<$number>::from_be_bytes)
            }

            #[inline]
            fn take_elements(from: &mut Decoder<'_>, count: usize) -> Result<Vec<Self>, DecodeError> {
                from.numbers(count, <$number>::from_be_bytes)
            }
        }
    )*};
}

number!(i8, i16, u16, i32, i64, f64);

/// Ids are what they wrap.
macro_rules! id {
    ($($id:ident),*) => {$(
        impl Field for $id {
            #[inline]
            fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
                self.0.put(out)
            }

            #[inline]
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Field::take(from).map(Self)
            }

            #[inline]
            fn take_elements(from: &mut Decoder<'_>, count: usize) -> Result<Vec<Self>, DecodeError> {
                Ok(Field::take_elements(from, count)?.into_iter().map(Self).collect())
            }
        }
    )*};
}

id!(
    ApiKey,
    BrokerId,
    ClientInstanceId,
    CorrelationId,
    DirectoryId,
    ErrorCode,
    LeaderEpoch,
    Offset
);
id!(PartitionId, ProducerEpoch, ProducerId, TopicId);

/// Any byte but zero is true.
impl Field for bool {
    #[inline]
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        i8::from(*self).put(out)
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        i8::take(from).map(|byte| byte != 0)
    }
}

/// A uuid.
impl Field for [u8; 16] {
    #[inline]
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put(self);
        Ok(())
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.parsed(parse::array(Wanted::Uuid))
    }
}

impl Field for Str {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_string(Some(self))
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.string()
    }

    fn take_elements(from: &mut Decoder<'_>, count: usize) -> Result<Vec<Self>, DecodeError> {
        from.strings(count)
    }
}

impl Field for Option<Str> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_string(self.as_deref())
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.nullable_string()
    }
}

/// A string that is seldom there takes eight bytes where it is not.
impl Field for Option<Box<Str>> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_string(self.as_ref().map(|text| text.as_str()))
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.nullable_boxed_string()
    }
}

impl Field for Bytes {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_length(Some(self.len()))?;
        out.put_bytes(self);
        Ok(())
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.byte_sequence()
    }
}

impl Field for Option<Bytes> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_length(self.as_ref().map(Bytes::len))?;
        if let Some(bytes) = self {
            out.put_bytes(bytes);
        }
        Ok(())
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.nullable_byte_sequence()
    }
}

/// Record batches.
impl Field for Option<Chunks> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_length(self.as_ref().map(Chunks::len))?;
        if let Some(chunks) = self {
            out.put_chunks(chunks);
        }
        Ok(())
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(from.nullable_byte_sequence()?.map(Chunks::from))
    }
}

impl Field for BrokerIds {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_length(Some(self.len()))?;
        self.iter().try_for_each(|id| id.put(out))
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.broker_ids()
    }
}

impl Field for Option<BrokerIds> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        match self {
            Some(ids) => ids.put(out),
            None => out.put_length(None),
        }
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.nullable_broker_ids()
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.put_length(Some(self.len()))?;
        for (index, element) in self.iter().enumerate() {
            element
                .put(out)
                .map_err(|error| error.inside(Step::Index(index)))?;
        }
        Ok(())
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.array()
    }
}

impl<T: Field> Field for Option<Vec<T>> {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        match self {
            Some(elements) => elements.put(out),
            None => out.put_length(None),
        }
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.nullable_array()
    }
}
