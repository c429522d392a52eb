//! Which algorithms are offered without being asked for by name.

/// What an application wants in general. A list for each category comes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Safe, and understood by what is in use today.
    #[default]
    Default,
    /// Only what withstands a quantum computer, and no cipher without an AEAD or encrypt-then-MAC.
    Strict,
}

/// From which policy on a row of a table is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// By each policy.
    Strict,
    /// By default.
    Default,
    /// By default, but not by a server: whoever asks could make it work much at little cost (D(HE)at, CVE-2002-20001).
    DefaultOfClients,
    /// Only where the application names it: for peers that have nothing better.
    ByName,
}

impl Offer {
    pub fn is_in(self, policy: Policy) -> bool {
        match policy {
            Policy::Default => self != Self::ByName,
            Policy::Strict => self == Self::Strict,
        }
    }
}
