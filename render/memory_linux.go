package render

import (
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// limitMemory has the kernel refuse this process more than so many bytes of writable private memory, upon which the
// Go runtime gives up. RLIMIT_AS would count the address space that the runtime reserves and never uses.
func limitMemory(bytes int64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &limit); err != nil {
		return err
	}
	limit.Max = min(limit.Max, uint64(bytes))
	limit.Cur = limit.Max
	debug.SetMemoryLimit(bytes - bytes/8) // collect garbage more often before it comes to that
	return unix.Setrlimit(unix.RLIMIT_DATA, &limit)
}
