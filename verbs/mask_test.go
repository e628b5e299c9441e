package verbs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMask(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"nothing":                                {`<Response><Redirect redirectUrl="https://h/a?b=c@d" username="u"/></Response>`, `<Response><Redirect redirectUrl="https://h/a?b=c@d" username="u"/></Response>`},
		"empty":                                  {"", ""},
		"password":                               {`<Redirect password="s3cret" x="y"/>`, `<Redirect password="***" x="y"/>`},
		"single quotes":                          {`<Redirect password = 's3"cret'/>`, `<Redirect password = '***'/>`},
		"every kind":                             {`<X fallbackPassword="s3cret" destinationPassword="s3cret"/>`, `<X fallbackPassword="***" destinationPassword="***"/>`},
		"misspelt":                               {`<X passwrod="s3cret" Pasword="s3cret" pwd="s3cret"/>`, `<X passwrod="***" Pasword="***" pwd="***"/>`},
		"over lines":                             {"<X password\n=\n\"s3\ncret\"/>", "<X password\n=\n\"***\"/>"},
		"quote missing":                          {`<X password="s3cret/></Response>`, `<X password="***`},
		"quotes missing":                         {`<X password=s3cret username=u/>`, `<X password=*** username=u/>`},
		"URL":                                    {`<X redirectUrl="https://u:s3cret@h/p"/>`, `<X redirectUrl="https://***@h/p"/>`},
		"URL with a user alone":                  {`<X redirectUrl="https://s3cret@h/p"/>`, `<X redirectUrl="https://***@h/p"/>`},
		"URL with two @":                         {`<X redirectUrl="https://u:s3@cret@h/p"/>`, `<X redirectUrl="https://***@h/p"/>`},
		"URL with an apostrophe":                 {`<X redirectUrl="https://u:s3'cret@h/p"/>`, `<X redirectUrl="https://***@h/p"/>`},
		"URL with references":                    {`<X redirectUrl="https:&#47;&#x2F;u:s3&#99;ret&#64;h/p"/>`, `<X redirectUrl="https:&#47;&#x2F;***@h/p"/>`},
		"URL with white space":                   {`<X redirectUrl="https://u:s3 s3cret@h/p" b='c@d'/>`, `<X redirectUrl="https://***@h/p" b='c@d'/>`},
		"URL with white space, quoted otherwise": {`<X redirectUrl='https://u:s3 s3cret@h/p' b='c@d'/>`, `<X redirectUrl='https://***@h/p' b='c@d'/>`},
		"URL with white space in text":           {`<PlayAudio> https://u:s3 s3cret@h/p</PlayAudio>`, `<PlayAudio> https://***@h/p</PlayAudio>`},
		"URL in front of an address":             {`<X redirectUrl='https://h' tag='a@b'/>`, `<X redirectUrl='https://h' tag='a@b'/>`},
		"URL without a scheme":                   {`<X redirectUrl="//u:s3cret@h/p"/>`, `<X redirectUrl="//***@h/p"/>`},
		"URL in text":                            {`<PlayAudio>https://u:s3cret@h/a.wav</PlayAudio>`, `<PlayAudio>https://***@h/a.wav</PlayAudio>`},
		"WebSocket":                              {`<X destination="wss://u:s3cret@h/"/>`, `<X destination="wss://***@h/"/>`},
		"a SIP user stays":                       {`<SipUri>sip:alice@h;lr</SipUri>`, `<SipUri>sip:alice@h;lr</SipUri>`},
		"a SIP password goes":                    {`<SipUri>sip:alice:s3cret@h:5060</SipUri>`, `<SipUri>sip:alice:***@h:5060</SipUri>`},
		"declared encoding":                      {"<?xml version='1.0' encoding='ISO-8859-1'?><X password='s3cret\xe4'>\xe4</X>", "<?xml version='1.0' encoding='ISO-8859-1'?><X password='***'>ä</X>"},
		"lie about the encoding":                 {"<?xml version='1.0' encoding='IBM037'?><X password='s3cret'/>", ""},
		"UTF-16":                                 {string(utf16Text(`<X password="s3cret"/>`, false)), `<X password="***"/>`},
		"UTF-16 not marked":                      {string(utf16Text(`<X password="s3cret"/>`, true)[2:]), `<X password="***"/>`},
		"byte order mark":                        {"\uFEFF<X password='s3cret'/>", "<X password='***'/>"},
		"invalid UTF-8":                          {"\xff<X password='s3\xffcret'/>", "\uFFFD<X password='***'/>"},
		"mail address after a slash":             {"see //example or a@b", "see //example or a@b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Mask(tc.body)
			assert.NotContains(t, got, "s3cret")
			if tc.want != "" || tc.body == "" {
				assert.Equal(t, tc.want, got)
			}
		})
	}
}

// FuzzMask puts a secret into documents of any shape. Nothing but the document's own markup may come before it, or it
// would stand where no secret can.
func FuzzMask(f *testing.F) {
	f.Add("<Response><Redirect ", " x='", "/></Response>")
	f.Add("<?xml version='1.0' encoding='ISO-8859-1'?><a b='\xe4", "\xff\x00", "<a <b")
	f.Fuzz(func(t *testing.T, before, between, after string) {
		const secret = "s3cretZZZ"
		for _, s := range []string{before, between, after} {
			if strings.Contains(s, "s3cret") || strings.Contains(s, "ZZZ") || strings.HasPrefix(s, "\xFF\xFE") || strings.HasPrefix(s, "\xFE\xFF") {
				return
			}
		}
		between = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n/?#\"'<>&", r) || r == 0xFFFD {
				return -1
			}
			return r
		}, between)
		for _, doc := range []string{
			before + ` password="` + between + secret + `" ` + after,
			before + ` fallbackPassword='` + between + secret + `' ` + after,
			before + ` password = ` + between + secret,
			before + ` redirectUrl="https://u:` + between + secret + `@h/" ` + after,
		} {
			assert.NotContains(t, Mask(doc), secret)
		}
	})
}
