package bench_test

import (
	"testing"
	"time"
)

// BenchmarkPlayingCalls has a node play PCMU on 1,500 calls at once, to phones that are silent or speak as much as they hear, and
// reports how many packets were sent more than 40 ms late, or not at all; how much of its core it took; and how much memory a call
// takes. "recorded" is 1,000 calls of which both directions are recorded as well, in two channels.
func BenchmarkPlayingCalls(b *testing.B) {
	rate, measured := scaled(75, 20), scaled(15*time.Second, 2*time.Second)
	settle := scaled(25*time.Second, time.Second) // with the time measured, more than the 32 s that their INVITEs' transactions live
	for _, bc := range []struct {
		name, document string
		calls          int
		speak          bool
	}{
		{"played", `<Response><PlayAudio>/sound.wav</PlayAudio></Response>`, 1500, false},
		{"played-to-who-speaks", `<Response><PlayAudio>/sound.wav</PlayAudio></Response>`, 1500, true},
		{"recorded", `<Response><StartRecording multiChannel="true"/><PlayAudio>/sound.wav</PlayAudio></Response>`, 1000, true},
	} {
		b.Run(bc.name, func(b *testing.B) {
			calls := scaled(bc.calls, 20)
			ramp := time.Duration(calls/rate+1) * time.Second
			app := startApplication(b, bc.document)
			app.sound = tone(ramp + settle + measured + 10*time.Second)
			p := startNode(b, app.url, "sip.keepalive=0s")             // sipp does not answer OPTIONS
			sipp(b, "refer-succeeds", p.sip, 50, 100, "-timeout", "5") // connections, caches
			for b.Loop() {
				phones := listen(b, calls, bc.speak)
				before := p.memory()
				var after memory
				var heard punctuality
				var cpu time.Duration
				settled := make(chan struct{})
				time.AfterFunc(ramp+settle, func() {
					defer close(settled)
					used := p.cpu()
					phones.during(measured)
					cpu = p.cpu() - used
					after, heard = p.memory(), phones.punctuality()
				})
				l := sipp(b, "caller-listens", p.sip, rate, calls, "-inf", phones.file)
				<-settled
				b.Logf("%+v; %v", l, heard)
				if !l.clean() || heard.calls != calls {
					b.Logf("more than the core can do: %d of %d calls were let in", heard.calls, calls)
				}
				b.ReportMetric(float64(heard.calls), "calls")
				b.ReportMetric(heard.lateShare(), "%-late")
				b.ReportMetric(milliseconds(heard.worst), "ms-worst")
				b.ReportMetric(100*cpu.Seconds()/measured.Seconds(), "%-of-core")
				b.ReportMetric(float64(after.resident-before.resident)/float64(max(1, heard.calls))/1000, "kB/call")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
