//! The cases against the real Kafka that the environment names; without one they say that they are
//! skipped.

use crate::cases::for_each_case;
use crate::site::{Kafka, PATIENCE, Site, Use, skip};

macro_rules! test {
    ($module:ident, $case:ident, $use:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            match Kafka::for_use(Use::$use).await {
                Err(reason) => skip(concat!("real_kafka::", stringify!($case)), reason),
                Ok(kafka) => {
                    let case = crate::cases::$module::$case(Site::Kafka(kafka));
                    tokio::time::timeout(PATIENCE, case)
                        .await
                        .expect("the case takes too long");
                }
            }
        }
    };
}

for_each_case!(test);
