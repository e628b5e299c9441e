package node

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usedTime returns the CPU time of this process.
func usedTime() (time.Duration, int) {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0, 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), runtime.GOMAXPROCS(0)
}

// userTick is what /proc counts time in: USER_HZ, 100 on every Linux.
const userTick = 10 * time.Millisecond

// idleTime returns what reads how long the processors had nothing to do that this process may use now.
func idleTime() func() (time.Duration, int) {
	var mine unix.CPUSet
	if unix.SchedGetaffinity(0, &mine) != nil {
		return func() (time.Duration, int) { return 0, 0 }
	}
	return func() (time.Duration, int) {
		stat, err := os.ReadFile("/proc/stat")
		if err != nil {
			return 0, 0
		}
		return idleOf(stat, mine.IsSet)
	}
}

// idleOf reads a /proc/stat: how long those of its processors had nothing to do that are mine, and how many these are.
func idleOf(stat []byte, mine func(cpu int) bool) (idle time.Duration, cpus int) {
	for line := range bytes.Lines(stat) {
		fields := bytes.Fields(line)
		if len(fields) < 6 || !bytes.HasPrefix(fields[0], []byte("cpu")) {
			continue
		}
		cpu, err := strconv.Atoi(string(fields[0][len("cpu"):]))
		if err != nil || !mine(cpu) {
			continue // the sum of all is cpu without a number
		}
		for _, f := range fields[4:6] { // idle, and idle while a disk is waited for
			ticks, err := strconv.ParseInt(string(f), 10, 64)
			if err != nil {
				return 0, 0
			}
			idle += time.Duration(ticks) * userTick
		}
		cpus++
	}
	return idle, cpus
}
