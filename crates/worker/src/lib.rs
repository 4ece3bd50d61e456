//! The worker: claims tasks, runs them with an executor and reports what came of them.
