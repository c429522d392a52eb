//! The peers, each with its role, and `heavy` where building takes minutes: those run in the full form only.

macro_rules! with_peers {
    ($what:ident) => {
        $what! {
            openssh_server: "openssh" Server;
            openssh_client: "openssh" Client;
            dropbear_server: "dropbear" Server;
            dropbear_client: "dropbear" Client;
            tinysshd_server: "tinysshd" Server;
            plink_client: "plink" Client;
            libssh_server: "libssh" Server;
            libssh_client: "libssh" Client;
            libssh2_client: "libssh2" Client;
            go_server: "go" Server;
            go_client: "go" Client;
            russh_server: "russh" Server heavy;
            russh_client: "russh" Client heavy;
            asyncssh_server: "asyncssh" Server;
            asyncssh_client: "asyncssh" Client;
            paramiko_server: "paramiko" Server;
            paramiko_client: "paramiko" Client;
            ssh2_client: "ssh2" Client;
        }
    };
}

pub(crate) use with_peers;
