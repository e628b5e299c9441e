package webhook

type partialGather struct {
	properties
	Speech partialSpeech `json:"speech"`
}

type partialSpeech struct {
	Transcript string `json:"transcript"`
}

// NewPartialGather makes the event that tells what a <Gather> has understood so far of somebody who is speaking.
func NewPartialGather(c Call, transcript string) Event {
	p := propertiesOf("partialgather", c)
	return build(p, &partialGather{p, partialSpeech{transcript}})
}
