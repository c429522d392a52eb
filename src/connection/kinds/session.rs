/// A session: a program, a shell or a subsystem (RFC 4254 section 6.1). Its open carries nothing.
pub const SESSION: &str = "session";
