//! The tests of the engine in a browser are in `tests/`; the package itself is empty.
