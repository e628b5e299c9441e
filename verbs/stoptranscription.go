package verbs

import "context"

// StopTranscription ends one transcription of the call, or all.
type StopTranscription struct {
	heading
	Transcription string // its name, or the id that it was given; "": all
}

// stopTranscriptionDef ends one transcription of the call, or all.
var stopTranscriptionDef = definition{
	name:             "StopTranscription",
	attributes:       []attribute{stringAttr("name")},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		return &StopTranscription{heading: n.heading(), Transcription: n.str("name")}
	},
}

// Execute does nothing where there is no such transcription. Those of recordings are not touched.
func (s *StopTranscription) Execute(ctx context.Context, call Call) (Outcome, error) {
	background, ok := call.(Background)
	if !ok {
		return Outcome{}, nil
	}
	for _, x := range tapsOf[*transcribing](background) {
		if s.Transcription == "" || x.is(s.Transcription) {
			background.End(x)
		}
	}
	return Outcome{}, ended(ctx, nil)
}
