//! Resident memory of this process, from the kernel.

/// Resident memory in bytes; zero where the kernel does not report it.
pub fn resident_bytes() -> u64 {
    line("VmRSS:")
}

/// Peak resident memory in bytes; zero where the kernel does not report it.
pub fn peak_bytes() -> u64 {
    line("VmHWM:")
}

fn line(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1_024
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_takes_memory_and_never_took_less_than_now() {
        let resident = super::resident_bytes();
        assert!(resident > 100_000, "{resident}");
        assert!(super::peak_bytes() >= resident);
    }
}
