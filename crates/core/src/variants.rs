//! Enums that know all their variants.

/// An enum with `ALL`, its variants in their order: what goes through all of them misses none.
#[macro_export]
macro_rules! with_all {
    ($(#[$about:meta])* $vis:vis enum $enum:ident {
        $($(#[$doc:meta])* $variant:ident),* $(,)?
    }) => {
        $(#[$about])*
        $vis enum $enum { $($(#[$doc])* $variant),* }

        impl $enum {
            $vis const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];
        }
    };
}
