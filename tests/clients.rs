//! Existing stub resolvers with plustwo: glibc, Python, Node.js and Java, in a network namespace that the
//! test creates, with its own /etc/resolv.conf. The test is skipped with a message if namespaces are not
//! permitted, and so is each client that is not installed.

use std::fs;
use std::process::Command;

/// The script that runs inside the namespace. It prints one line per client: its name and the addresses it
/// received.
const SCRIPT: &str = r#"
set -u
ip link set lo up
# Resolvers that find no global address assume that there is no network.
ip addr add 192.0.2.1/32 dev lo
printf 'nameserver 127.0.0.1\noptions edns0\n' > "$DIR/resolv.conf"
mount --bind "$DIR/resolv.conf" /etc/resolv.conf
"$PLUSTWO" serve --config "$DIR/plustwo.toml" 2> "$DIR/log" &
daemon=$!
tries=0
until "$PLUSTWO" healthcheck 2> /dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 2000 ] || exit 1
done
line() { printf '%s' "$1"; shift; "$@" | sort -u | while read -r word; do printf ' %s' "$word"; done; printf '\n'; }
name=sns.ap-northeast-1.amazonaws.com
has() { command -v "$1" > /dev/null || { echo "skipped: $1 is not installed" >&2; return 1; }; }
line glibc sh -c "getent ahostsv4 $name | cut -d' ' -f1"
has python3 && line python3 python3 -c "import socket; print(*sorted({a[4][0] for a in socket.getaddrinfo('$name', 443)}), sep='\n')"
has node && line node node -e "require('dns').lookup('$name', {all: true}, (e, a) => { if (e) throw e; a.forEach(x => console.log(x.address)) })"
has node && line c-ares node -e "require('dns').resolve4('$name', (e, a) => { if (e) throw e; a.forEach(x => console.log(x)) })"
cat > "$DIR/LookUp.java" <<'J'
public class LookUp {
  public static void main(String[] names) throws Exception {
    for (var address : java.net.InetAddress.getAllByName(names[0])) System.out.println(address.getHostAddress());
  }
}
J
has java && line java java "$DIR/LookUp.java" $name
kill $daemon
wait $daemon
"#;

#[test]
fn existing_stub_resolvers_get_the_addresses_of_the_endpoint() {
    let allowed = Command::new("unshare").args(["--net", "--mount", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: a network namespace requires root and unshare (util-linux)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap().replace("127.0.0.1:5300", "127.0.0.1:53");
    fs::write(dir.path().join("plustwo.toml"), lab).unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--mount", "bash", "-c", SCRIPT])
        .env("DIR", dir.path())
        .env("PLUSTWO", env!("CARGO_BIN_EXE_plustwo"))
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{stdout}{stderr}");
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.lines().any(|line| line.starts_with("glibc ")), "{stdout}");
    for line in stdout.lines() {
        let (client, addresses) = line.split_once(' ').unwrap_or((line, ""));
        assert_eq!(addresses, "10.0.100.20 10.0.200.20", "{client}");
    }
}
