//! How much of the input an embedding keeps, and in how few numbers.

pub mod bits;
pub mod intrinsic_dimension;
pub mod mutual_information;
pub mod rank;
pub mod readable;
pub mod spectrum;
