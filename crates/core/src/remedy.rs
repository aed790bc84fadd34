//! What to do about a call that the system refused, where the place that made it knows nothing better.

/// Advice by Node's code and the call that failed.
pub fn remedy(code: &str, call: &str) -> Option<&'static str> {
    let by_name = matches!(call, "shm_open" | "shm_unlink" | "OpenFileMapping" | "CreateFileMapping");
    let advice = match code {
        "EACCES" | "EPERM" if by_name => {
            "the memory of that name is another user's: see the option mode where it is made"
        }
        "EACCES" | "EPERM" if call == "open" => {
            "the permissions of the file or of a folder on the way forbid it; access 'read' needs no right to write"
        }
        "EACCES" | "EPERM" if matches!(call, "mprotect" | "VirtualProtect") => {
            "a rule of the system's, or a file system mounted noexec, forbids such pages"
        }
        "EAGAIN" if call == "pthread_create" => {
            "no more threads can be had: see `ulimit -u` and the container's limit of pids"
        }
        "EBADF" => "the descriptor was closed, or never was one",
        "EDQUOT" => "your quota is used up: delete something, or ask for more",
        "EEXIST" if by_name => "open or openOrCreate takes the memory that is there; unlink frees the name",
        "EEXIST" => "create: true takes the file that is there, 'exclusive' does not",
        "EFBIG" => "longer than this file system or `ulimit -f` allows",
        "EIO" => "the disk or its server failed: what was not flushed before may be lost",
        "EISDIR" => "this is a folder: name a file in it",
        "EMFILE" => "close regions (mappings() lists them) or files, open with keepOpen: false, or raise `ulimit -n`",
        "ENAMETOOLONG" => "a part of the path is longer than this file system allows",
        "ENFILE" => "all programs together have too many files open: close some, or raise fs.file-max",
        "ENODEV" => "only regular files can be mapped, and not on every file system",
        "ENOENT" if by_name => "no memory has that name, or no longer; create or openOrCreate makes it",
        "ENOENT" if call == "open" => "create: true makes a file that is not there, but no folders",
        "ENOLCK" => "the system's table of locks is full, or the file's server has no locks",
        "ENOMEM" => "more memory or addresses than can be had: see limits(), `ulimit -v` and vm.overcommit_memory",
        "ENOSPC" if by_name || call == "fallocate" || call == "ftruncate" => {
            "make room on the disk; for shared memory limits().sharedMemory says how much there is"
        }
        "ENOTDIR" => "what comes before the last part of the path is no folder",
        "EROFS" => "the file system is mounted read-only: use access 'read' or 'copy'",
        "ESTALE" => "the file was removed on its server: open it again",
        "ETXTBSY" => "a program that is running cannot be changed: use access 'read' or 'copy'",
        _ => return None,
    };
    Some(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn advice_goes_by_the_call_and_what_a_place_knows_better_comes_first() {
        let said = |call| Error::raw(call, crate::sys::EACCES).to_string();
        assert!(said("open").contains("access 'read' needs no right to write"));
        assert!(said("shm_open").contains("another user's"));
        assert!(!said("mmap").contains('('));
        let better = Error::raw("mmap", crate::sys::ENODEV).advise("only regular files can be mapped").to_string();
        assert!(better.ends_with("mmap (only regular files can be mapped)"));
        assert_eq!(remedy("EINTR", "open"), None);
    }
}
