package media

import (
	"slices"
	"strings"
)

// Voice is one row of the voice table.
type Voice struct {
	Name   string // as documents call it: "susan"
	Locale string // "en_US"; "_" and "-", capitals and small letters are the same
	Gender string // "female" or "male"
	Engine string // the speech engine's own name of it: "en-us+f3"
}

// DefaultVoices returns the voice table, with espeak-ng's names: a language, and a variant that tells the voices of one
// language apart. Where espeak-ng lacks the accent its nearest one stands. The first row of a locale and gender is the
// one that these two choose.
func DefaultVoices() []Voice {
	return []Voice{
		{"susan", "en_US", "female", "en-us+f3"}, // the default voice
		{"julie", "en_US", "female", "en-us+f2"},
		{"kate", "en_US", "female", "en-us+f4"},
		{"dave", "en_US", "male", "en-us+m3"},
		{"paul", "en_US", "male", "en-us+m7"},
		{"bridget", "en_UK", "female", "en-gb+f3"},
		{"simon", "en_UK", "male", "en-gb+m3"},
		{"katrin", "de", "female", "de+f3"},
		{"stefan", "de", "male", "de+m3"},
		{"esperanza", "es", "female", "es+f3"},
		{"violeta", "es", "female", "es+f2"},
		{"jorge", "es", "male", "es+m3"},
		{"rosa", "es_MX", "female", "es-419+f3"},
		{"jolie", "fr", "female", "fr-fr+f3"},
		{"bernard", "fr", "male", "fr-fr+m3"},
		{"paola", "it", "female", "it+f3"},
		{"luca", "it", "male", "it+m3"},
		{"masako", "ja", "female", "ja+f3"},
		{"kenji", "ja", "male", "ja+m3"},
		{"nadiya", "ru", "female", "ru+f3"},
		{"anatoli", "ru", "male", "ru+m3"},
		{"zeina", "arb", "female", "ar+f3"},
		{"zhiyu", "cmn-CN", "female", "cmn+f3"},
		{"ruth", "en_US", "female", "en-us+Annie"},
		{"stephen", "en_US", "male", "en-us+Andy"},
		{"lupe", "es_US", "female", "es-419+f2"},
		{"pedro", "es_US", "male", "es-419+m3"},
		{"gabrielle", "fr_CA", "female", "fr-fr+f2"},
		{"liam", "fr_CA", "male", "fr-fr+m7"},

		{"salli", "en_US", "female", "en-us+f1"},
		{"salli_enh", "en_US", "female", "en-us+steph"},
		{"ivy", "en_US", "female", "en-us+f5"},
		{"ivy_enh", "en_US", "female", "en-us+steph2"},
		{"joey", "en_US", "male", "en-us+m1"},
		{"joey_enh", "en_US", "male", "en-us+m2"},
		{"justin", "en_US", "male", "en-us+m5"},
		{"emma", "en_UK", "female", "en-gb+f2"},
		{"emma_enh", "en_UK", "female", "en-gb+f4"},
		{"nicole", "en_AU", "female", "en-gb+f5"},
		{"russell", "en_AU", "male", "en-gb+m7"},
		{"raveena", "en_IN", "female", "en-gb+Annie"},
		{"geraint", "en_UK", "male", "en-gb+m5"},
		{"chantal", "fr_CA", "female", "fr-fr+f4"},
		{"miguel", "es_US", "male", "es-419+m7"},
		{"penelope", "es_US", "female", "es-419+f4"},
		{"mads", "da_DK", "male", "da+m3"},
		{"naja", "da_DK", "female", "da+f3"},
		{"ruben", "nl_NL", "male", "nl+m3"},
		{"carmen", "ro_RO", "female", "ro+f3"},
	}
}

// mergeVoices returns voices with those of more, which replace the ones of the same name.
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

// chooseVoice finds the voice of an utterance: by its name if it has one, else by locale and gender, where the other
// gender does if the locale lacks the one asked for. Nothing set is the table's first voice.
func chooseVoice(voices []Voice, u Utterance) (Voice, bool) {
	if u.Voice == "" && u.Locale == "" && u.Gender == "" {
		return voices[0], true
	}
	var other *Voice
	for i, v := range voices {
		switch {
		case u.Voice != "":
			if v.Name == u.Voice {
				return v, true
			}
		case u.Locale != "" && !sameLocale(v.Locale, u.Locale):
		case u.Gender == "" || v.Gender == u.Gender:
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
