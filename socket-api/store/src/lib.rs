//! A small durable store for what must outlive a process or a tab.
