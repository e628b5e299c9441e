//go:build !linux

package node

import "time"

// usedTime and idleTime are for Linux.
func usedTime() (time.Duration, int) { return 0, 0 }

func idleTime() func() (time.Duration, int) { return usedTime }
