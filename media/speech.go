package media

// SpeechConfig is what users set of the speech.
type SpeechConfig struct {
	Engine  string   // "espeak-ng" (also when empty), "command", "http" or "none"
	Command []string // of engine "command": the program and its arguments
	URL     string   // of engine "http"
	Voices  []Voice  // added to [DefaultVoices]; a voice of the same name replaces the default one
}
