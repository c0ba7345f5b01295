//! Ways out of a workspace. Each command succeeds only if it led out, or took hold of something that is not the workspace's.

use std::path::Path;

/// What is tried, with the command. `outside` has a file `secret` and a socket, both open to everybody.
pub fn all(outside: &Path) -> Vec<(&'static str, String)> {
    let outside = outside.display().to_string();
    let python = |code: &str| format!("python3 -c '{code}'");
    // The number of a system call, and its arguments: succeeds when the call does.
    let syscall = |number: u32, arguments: &str| {
        python(&format!(
            "import ctypes,sys; c=ctypes.CDLL(None,use_errno=True); r=c.syscall({number}{arguments}); sys.exit(0 if r>=0 else 1)"
        ))
    };
    let mut all = files(&outside);
    all.extend([
        ("mount a file system", "mount -t tmpfs none /mnt".to_owned()),
        (
            "mount the kernel's tables",
            "mkdir -p p && mount -t proc none p".to_owned(),
        ),
        (
            "bind what is outside",
            format!("mkdir -p b && mount --bind {outside} b"),
        ),
        (
            "remount the system writable",
            "mount -o remount,rw /usr && touch /usr/escaped".to_owned(),
        ),
        ("unmount what hides", "umount /tmp".to_owned()),
        ("change the root", "mkdir -p r && chroot r /bin/true".to_owned()),
        ("switch the root", syscall(155, ",b\".\",b\".\"")),
        (
            "enter the first process's namespaces",
            "nsenter -t 1 -a /bin/true".to_owned(),
        ),
        ("become another user", "setpriv --reuid 0 /bin/true".to_owned()),
        (
            "become another group",
            "setpriv --regid 0 --clear-groups /bin/true".to_owned(),
        ),
        ("be root by su", "su -c true root < /dev/null".to_owned()),
        ("be root by sudo", "sudo -n true".to_owned()),
        (
            "be root by a program with the bit",
            "cp /bin/sh s && chmod u+s s && ./s -c 'test $(id -u) = 0'".to_owned(),
        ),
        (
            "take capabilities back",
            "capsh --gid=0 --uid=0 -- -c true || grep -q 'CapEff:.*[1-9a-f]' /proc/self/status".to_owned(),
        ),
        ("trace the agent", syscall(101, ",16,2,0,0")),
        (
            "read the agent's memory",
            "cat /proc/2/mem /proc/1/mem 2>/dev/null | head -c 1 | grep -q .".to_owned(),
        ),
        ("read the agent's environment", "grep -qa . /proc/1/environ".to_owned()),
        (
            "look through the agent's files",
            "ls /proc/1/root/ /proc/2/root/ /proc/1/fd/ 2>/dev/null | grep -q .".to_owned(),
        ),
        ("load code into the kernel", syscall(321, ",5,0,0")),
        ("load a module", "modprobe dummy || insmod x.ko".to_owned()),
        ("watch performance of others", syscall(298, ",0,-1,0,-1,0")),
        ("replace the kernel", syscall(246, ",0,0,0,0")),
        ("set the clock", "date -s 2001-01-01".to_owned()),
        (
            "name the machine",
            "sysctl -w kernel.core_pattern=x || echo x > /proc/sys/kernel/core_pattern".to_owned(),
        ),
        (
            "run a program at a crash",
            "echo '|/bin/true' > /proc/sys/kernel/core_pattern".to_owned(),
        ),
        ("press the kernel's keys", "echo h > /proc/sysrq-trigger".to_owned()),
        (
            "leave its control group",
            "mkdir /sys/fs/cgroup/x || echo 0 > /sys/fs/cgroup/cgroup.procs".to_owned(),
        ),
        (
            "release agents of control groups",
            "mkdir -p c && mount -t cgroup -o memory none c".to_owned(),
        ),
        ("make a device", "mknod d b 8 0 || mknod d c 1 1".to_owned()),
        (
            "read the disk",
            "head -c 1 /dev/sda /dev/vda /dev/nvme0n1 /dev/mem /dev/kmem 2>/dev/null | grep -q .".to_owned(),
        ),
        (
            "type into a terminal",
            python("import fcntl,termios; fcntl.ioctl(open(\"/dev/tty\"),termios.TIOCSTI,b\"x\")"),
        ),
        ("kill what it did not start", "kill -9 1".to_owned()),
        ("be nicer than allowed", "renice -n -20 1".to_owned()),
        (
            "raise its limits",
            "ulimit -Hu unlimited || ulimit -Hd unlimited".to_owned(),
        ),
        (
            "find the container engine",
            "ls /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock | grep -q .".to_owned(),
        ),
        (
            "write the system's settings",
            "echo x >> /etc/passwd || echo x >> /etc/ld.so.preload".to_owned(),
        ),
        (
            "read the system's secrets",
            "cat /etc/shadow || ls /root | grep -q .".to_owned(),
        ),
        (
            "answer the link in another's name",
            "ls ../*/ 2>/dev/null | grep -q secret".to_owned(),
        ),
    ]);
    all
}

/// Ways to a file outside.
fn files(outside: &str) -> Vec<(&'static str, String)> {
    vec![
        ("read by path", format!("cat {outside}/secret")),
        ("write by path", format!("echo x > {outside}/new")),
        (
            "read through the first process",
            format!("cat /proc/1/root{outside}/secret || cat /proc/2/root{outside}/secret"),
        ),
        (
            "read through its own root",
            format!("cat /proc/self/root{outside}/secret"),
        ),
        ("read through a link", format!("ln -sf {outside}/secret l && cat l")),
        ("link the file itself", format!("ln {outside}/secret h")),
        ("climb", format!("cat ../../../../../../../..{outside}/secret")),
        (
            "read through an open file of another process",
            "timeout 2 cat /proc/[0-9]*/fd/* 2>/dev/null < /dev/null | grep -qa '[s]3cret'".to_owned(),
        ),
        (
            "use the socket",
            format!("python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{outside}/socket\")'"),
        ),
    ]
}
