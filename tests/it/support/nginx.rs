//! A real nginx before several nodes: round robin, all times and sizes as nginx has them by default.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::eventually::LONG;

/// Ports that are tried: another process may take one between its choice and nginx' start.
const ATTEMPTS: usize = 5;

/// Ends when dropped.
pub struct Nginx {
    address: SocketAddr,
    _child: Child,
    /// Goes after the process.
    _directory: TempDir,
}

impl Nginx {
    /// Starts one and waits until it accepts connections.
    pub async fn before(nodes: &[SocketAddr]) -> Self {
        let mut complaints = Vec::new();
        for _ in 0..ATTEMPTS {
            let directory = tempfile::tempdir().unwrap();
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            std::fs::write(directory.path().join("nginx.conf"), configuration(directory.path(), address, nodes)).unwrap();
            let mut child = spawn(directory.path());
            if accepts(address, &mut child).await {
                return Self { address, _child: child, _directory: directory };
            }
            complaints.push(log(directory.path()));
        }
        panic!("nginx did not start: {complaints:#?}");
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("error.log")).unwrap_or_default()
}

fn spawn(directory: &Path) -> Child {
    // Debian keeps it where only administrators look.
    let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap());
    let mut command = Command::new("nginx");
    command.env("PATH", path).arg("-p").arg(directory).arg("-e").arg(directory.join("error.log"));
    command.arg("-c").arg(directory.join("nginx.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("this test needs nginx: apt-get install nginx-light"),
        _ => panic!("nginx: {error}"),
    })
}

async fn accepts(address: SocketAddr, child: &mut Child) -> bool {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
    let accepting = async {
        while TcpStream::connect(address).await.is_err() {
            tick.tick().await;
            if child.try_wait().unwrap().is_some() {
                return false;
            }
        }
        // Somebody else may have the port; then nginx ends at once.
        child.try_wait().unwrap().is_none()
    };
    tokio::time::timeout(LONG, accepting).await.unwrap_or(false)
}

/// One process, so that nothing is left when it is killed.
fn configuration(directory: &Path, address: SocketAddr, nodes: &[SocketAddr]) -> String {
    let at = directory.display();
    // A node that was killed is back in a moment: nginx must not leave it out for ten seconds, nor all of them.
    let servers: String = nodes.iter().map(|node| format!("        server {node} max_fails=0;\n")).collect();
    format!(
        "daemon off;
master_process off;
pid {at}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {at}/body;
    proxy_temp_path {at}/proxy;
    fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi;
    scgi_temp_path {at}/scgi;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        ''      '';
    }}
    upstream nodes {{
{servers}    }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"
    )
}
