package interpreter

import (
	"testing"

	"github.com/callengine/callengine/verbs"
)

// BenchmarkReferredCall runs whole calls with a leg and an application that do nothing but answer: what is left is the
// interpreter's own work, the parser's and the journal's.
func BenchmarkReferredCall(b *testing.B) {
	b.ReportAllocs()
	document := response(`<Refer referCompleteUrl="/complete"><SipUri>sip:bob@example.com</SipUri></Refer>`)
	for b.Loop() {
		call := newBench(b, map[string][]any{"initiate": {document}, "referComplete": {""}})
		call.leg.referral.end(verbs.ReferResult{Success: true, ReferCode: 202, NotifyCode: 200})
		call.run()
	}
}
