//! The cases against the in-process test broker, one cluster each.

use crate::cases::for_each_case;
use crate::site::{PATIENCE, Site};

macro_rules! test {
    ($module:ident, $case:ident, $use:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let case = crate::cases::$module::$case(Site::test_broker().await);
            tokio::time::timeout(PATIENCE, case)
                .await
                .expect("the case takes too long");
        }
    };
}

for_each_case!(test);
