//! An MQTT client, 3.1.1 and 5: codec, sans-IO core, and an async client over Jackfield's socket API.
