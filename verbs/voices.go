package verbs

import (
	"slices"
	"strings"
)

// Kinds of voices.
const (
	VoiceStandard = "standard"
	VoiceEnhanced = "enhanced"
)

// Voice is a voice that documents may name (docs/bxml.md).
type Voice struct {
	Name   string
	Locale string // "en_US"; documents may write it with "-" and in any letter case
	Gender string // "female" or "male"
	Kind   string // VoiceStandard or VoiceEnhanced
}

// DefaultVoices returns the voices that every parser knows. The first one of a locale and gender is the one that these
// two choose.
func DefaultVoices() []Voice {
	return []Voice{
		{"susan", "en_US", "female", VoiceStandard}, // the default voice
		{"julie", "en_US", "female", VoiceStandard},
		{"kate", "en_US", "female", VoiceStandard},
		{"dave", "en_US", "male", VoiceStandard},
		{"paul", "en_US", "male", VoiceStandard},
		{"bridget", "en_UK", "female", VoiceStandard},
		{"simon", "en_UK", "male", VoiceStandard},
		{"katrin", "de", "female", VoiceStandard},
		{"stefan", "de", "male", VoiceStandard},
		{"esperanza", "es", "female", VoiceStandard},
		{"violeta", "es", "female", VoiceStandard},
		{"jorge", "es", "male", VoiceStandard},
		{"rosa", "es_MX", "female", VoiceStandard},
		{"jolie", "fr", "female", VoiceStandard},
		{"bernard", "fr", "male", VoiceStandard},
		{"paola", "it", "female", VoiceStandard},
		{"luca", "it", "male", VoiceStandard},
		{"masako", "ja", "female", VoiceStandard},
		{"kenji", "ja", "male", VoiceStandard},
		{"nadiya", "ru", "female", VoiceStandard},
		{"anatoli", "ru", "male", VoiceStandard},
		{"zeina", "arb", "female", VoiceStandard},
		{"zhiyu", "cmn-CN", "female", VoiceStandard},
		{"ruth", "en_US", "female", VoiceEnhanced},
		{"stephen", "en_US", "male", VoiceEnhanced},
		{"lupe", "es_US", "female", VoiceEnhanced},
		{"pedro", "es_US", "male", VoiceEnhanced},
		{"gabrielle", "fr_CA", "female", VoiceEnhanced},
		{"liam", "fr_CA", "male", VoiceEnhanced},

		// Names that are known without a row in the table.
		{"salli", "en_US", "female", VoiceStandard},
		{"salli_enh", "en_US", "female", VoiceEnhanced},
		{"ivy", "en_US", "female", VoiceStandard},
		{"ivy_enh", "en_US", "female", VoiceEnhanced},
		{"joey", "en_US", "male", VoiceStandard},
		{"joey_enh", "en_US", "male", VoiceEnhanced},
		{"justin", "en_US", "male", VoiceStandard},
		{"emma", "en_UK", "female", VoiceStandard},
		{"emma_enh", "en_UK", "female", VoiceEnhanced},
		{"nicole", "en_AU", "female", VoiceStandard},
		{"russell", "en_AU", "male", VoiceStandard},
		{"raveena", "en_IN", "female", VoiceStandard},
		{"geraint", "en_UK", "male", VoiceStandard},
		{"chantal", "fr_CA", "female", VoiceStandard},
		{"miguel", "es_US", "male", VoiceStandard},
		{"penelope", "es_US", "female", VoiceStandard},
		{"mads", "da_DK", "male", VoiceStandard},
		{"naja", "da_DK", "female", VoiceStandard},
		{"ruben", "nl_NL", "male", VoiceStandard},
		{"carmen", "ro_RO", "female", VoiceStandard},
	}
}

// mergeVoices adds the voices of more, replacing those of the same name.
func mergeVoices(voices, more []Voice) []Voice {
	for _, v := range more {
		if i := slices.IndexFunc(voices, func(old Voice) bool { return old.Name == v.Name }); i >= 0 {
			voices[i] = v
		} else {
			voices = append(voices, v)
		}
	}
	return voices
}

// named returns the voice of that name.
func named(voices []Voice, name string) (Voice, bool) {
	i := slices.IndexFunc(voices, func(v Voice) bool { return v.Name == name })
	if i < 0 {
		return Voice{}, false
	}
	return voices[i], true
}

// spoken returns the first voice of a locale with that gender, or with the other one if the locale has none.
func spoken(voices []Voice, locale, gender string) (Voice, bool) {
	var other *Voice
	for i, v := range voices {
		switch {
		case !sameLocale(v.Locale, locale):
		case v.Gender == gender:
			return v, true
		case other == nil:
			other = &voices[i]
		}
	}
	if other == nil {
		return Voice{}, false
	}
	return *other, true
}

func sameLocale(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-"))
}

func voiceNames(voices []Voice) []string {
	names := make([]string, len(voices))
	for i, v := range voices {
		names[i] = v.Name
	}
	return names
}

// locales returns each locale once.
func locales(voices []Voice) []string {
	var all []string
	for _, v := range voices {
		if !slices.Contains(all, v.Locale) {
			all = append(all, v.Locale)
		}
	}
	return all
}
