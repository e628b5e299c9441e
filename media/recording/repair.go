package recording

import (
	"fmt"
	"os"
	"time"
)

// Repair makes the file of a recording that a crash has interrupted exact, and returns the duration of its sound. A file
// in which there is no sound is an error.
func Repair(path string, format Format, channels int) (d time.Duration, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	head, unit, samples := int64(wavHead), int64(2*channels), 1
	if format == MP3 {
		head, unit, samples = 0, mp3Frame(channels), mp3Samples
	}
	units := (info.Size() - head) / unit
	if units <= 0 {
		return 0, fmt.Errorf("%s holds no sound", path)
	}
	if err := file.Truncate(head + units*unit); err != nil {
		return 0, err
	}
	if format != MP3 {
		b := wavHeader(channels, units*unit)
		if _, err := file.WriteAt(b[:], 0); err != nil {
			return 0, err
		}
	}
	return durationOf(int(units) * samples), nil
}
