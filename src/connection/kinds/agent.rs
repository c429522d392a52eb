/// A connection to the client's agent, opened by the server. Its open carries nothing.
pub const AGENT: &str = "auth-agent@openssh.com";
/// Both names: OpenSSH's, and the one of RFC 9987.
pub const AGENT_NAMES: [&str; 2] = [AGENT, "agent-connect"];
