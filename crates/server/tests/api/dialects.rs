mod simple;
mod taskmaster;
