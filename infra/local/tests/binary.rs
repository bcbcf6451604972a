//! `cargo run -p local`, as a terminal has it: it says where it is, and Ctrl-C ends it.

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::process::{Child, Command, ExitStatus, Stdio};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// Far more than either takes, on a machine that is busy with something else: it is to tell
    /// slow from never.
    const BOUND: Duration = Duration::from_mins(1);

    /// What `wait` brings about on a thread of its own, unless it takes too long.
    fn within<T: Send + 'static>(what: &str, wait: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, waited) = mpsc::channel();
        let _ = thread::spawn(move || done.send(wait()));
        waited
            .recv_timeout(BOUND)
            .unwrap_or_else(|_| panic!("{what} took more than {BOUND:?}"))
    }

    /// The greeting up to its last line.
    fn greeting(local: &mut Child) -> String {
        let lines = BufReader::new(local.stdout.take().unwrap()).lines();
        within("the greeting", move || {
            let mut said = String::new();
            for line in lines.map_while(Result::ok) {
                said.push_str(&line);
                said.push('\n');
                if line == "Ctrl-C stops it." {
                    break;
                }
            }
            said
        })
    }

    /// The first line of what is answered at `/health`.
    fn health(address: &str) -> String {
        let mut connection = TcpStream::connect(address).unwrap();
        connection
            .write_all(
                format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .unwrap();
        let mut answer = String::new();
        let _ = connection.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn stopped_by(signal: &str) -> ExitStatus {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        let command = command.args([
            "--ephemeral",
            "--port",
            "0",
            "--operator-key",
            "operator-key-of-the-tests",
        ]);
        let mut local = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = greeting(&mut local);
        assert!(
            said.contains("  Operator key  operator-key-of-the-tests\n"),
            "{said}"
        );
        let inbox = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("Inbox"))
            .unwrap();
        let address = inbox
            .trim()
            .strip_prefix("http://")
            .unwrap()
            .strip_suffix("/_local/")
            .unwrap();
        assert_eq!(health(address), "HTTP/1.1 200 OK");
        let sent = Command::new("kill")
            .args([signal, &local.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        within("the end", move || local.wait().unwrap())
    }

    #[test]
    fn it_greets_and_answers_and_ends_in_peace() {
        for signal in ["-INT", "-TERM"] {
            assert_eq!(stopped_by(signal).code(), Some(0), "{signal}");
        }
    }
}
