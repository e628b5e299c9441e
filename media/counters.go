package media

import "time"

// Counters is told what happens, for an operator's figures. Its methods are called from many goroutines and on the path
// of every packet: they must not block, and should not allocate.
type Counters interface {
	RTPReceived(packets int) // accepted from a peer
	RTPIgnored(packets int)  // from where the peer is not
	RTPSent(packets int)
	RTPLost(packets int)               // sent by a peer and never received, told with each report
	RTPLate(packets int)               // came after their sound had been heard by who listens
	RTPConcealed(length time.Duration) // sound was made up for so long, in place of what did not come
	RTPRejected(packets int)           // not protected by the peer's key, or seen before
	DTLSHandshake(ok bool)
	PortsInUse(pairs int) // how many pairs of ports are open now
	SpeechCache(hit bool) // a text was asked for; hit: it is there or being spoken already
	PanicRecovered()      // the engine itself failed, and went on
}

type noCounters struct{}

func (noCounters) RTPReceived(int)            {}
func (noCounters) RTPIgnored(int)             {}
func (noCounters) RTPSent(int)                {}
func (noCounters) RTPLost(int)                {}
func (noCounters) RTPLate(int)                {}
func (noCounters) RTPConcealed(time.Duration) {}
func (noCounters) RTPRejected(int)            {}
func (noCounters) DTLSHandshake(bool)         {}
func (noCounters) PortsInUse(int)             {}
func (noCounters) SpeechCache(bool)           {}
func (noCounters) PanicRecovered()            {}
