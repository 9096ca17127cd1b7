//! What the fuzz targets share: choices drawn from bytes, mutation of JSON, and the plain ways to do what the kernel does quickly.

pub mod choice;
pub mod made;
pub mod mutate;
pub mod ran;
pub mod reference;
