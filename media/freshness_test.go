package media

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFreshnessFollowsRFC7234(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	const never = -1
	for name, tc := range map[string]struct {
		header map[string]string
		want   time.Duration // never: not kept
	}{
		"nothing said":               {map[string]string{"ETag": `"1"`}, never},
		"max-age":                    {map[string]string{"Cache-Control": "max-age=60"}, time.Minute},
		"max-age in any case":        {map[string]string{"Cache-Control": `Public, Max-Age="60"`}, time.Minute},
		"of a shared cache":          {map[string]string{"Cache-Control": "max-age=60, s-maxage=10"}, 10 * time.Second},
		"max-age before Expires":     {map[string]string{"Cache-Control": "max-age=60", "Expires": date(time.Hour)}, time.Minute},
		"Expires":                    {map[string]string{"Expires": date(time.Hour)}, time.Hour},
		"Expires by their clock":     {map[string]string{"Expires": date(time.Hour), "Date": date(30 * time.Minute)}, 30 * time.Minute},
		"Expires of zero":            {map[string]string{"Expires": "0"}, never},
		"Expires of zero, validated": {map[string]string{"Expires": "0", "ETag": `"1"`}, 0},
		"Age is taken off":           {map[string]string{"Cache-Control": "max-age=60", "Age": "45"}, 15 * time.Second},
		"no-store":                   {map[string]string{"Cache-Control": "max-age=60, no-store"}, never},
		"private":                    {map[string]string{"Cache-Control": "private, max-age=60"}, never},
		"no-cache":                   {map[string]string{"Cache-Control": "no-cache, max-age=60"}, never},
		"no-cache, validated":        {map[string]string{"Cache-Control": "no-cache, max-age=60", "Last-Modified": date(0)}, 0},
		"max-age of nonsense":        {map[string]string{"Cache-Control": "max-age=soon", "ETag": `"1"`}, 0},
		"max-age beyond all measure": {map[string]string{"Cache-Control": "max-age=9999999999"}, maxAge * time.Second},
		"varies with anything":       {map[string]string{"Cache-Control": "max-age=60", "Vary": "*"}, never},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range tc.header {
				h.Set(k, v)
			}
			until, keep := freshness(h, now)
			assert.Equal(t, tc.want != never, keep)
			if keep {
				assert.Equal(t, tc.want, until.Sub(now))
			}
		})
	}
}
