//! The one call into libc that nothing safe offers: rustix lacks `sched_setscheduler`.

#![expect(unsafe_code, reason = "a policy of the scheduler that no crate in use sets")]

use std::io;

/// Has the calling thread run only in time that no other of its cgroup wants (`SCHED_IDLE`, sched(7)). Any other
/// thread that wakes takes its place at once, whatever the version of the kernel; to a nice value not all of them
/// pay so much attention. There is no way back without a right.
///
/// # Errors
///
/// What `sched_setscheduler` says: `EPERM` or `ENOSYS` where a filter of system calls forbids it.
pub(super) fn yield_to_all() -> io::Result<()> {
    // As all policies without priorities have it.
    let priority: libc::c_int = 0;
    // By its number, because musl's function of that name only returns ENOSYS.
    // SAFETY: the kernel reads one `sched_param`, which is one `int`, from where `priority` is, which lives to the
    // end of this function, and writes nothing. Zero stands for the calling thread.
    let result = unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_IDLE, &raw const priority)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
