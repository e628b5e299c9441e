package interpreter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const referral = `<Refer referCompleteUrl="/done"><SipUri>sip:desk@example.com</SipUri></Refer>`

func TestAPendingReferCannotBeReplaced(t *testing.T) {
	modified(t, map[string][]any{
		"initiate": {response(referral)}, "referComplete": {hangsUntilTheEnd},
	}, func(t *testing.T, b *bench) {
		assert.ErrorIs(t, b.runner.Redirect(toNext), ErrNotModifiable)
		assert.ErrorIs(t, b.runner.Replace([]byte(response())), ErrNotModifiable)
		b.leg.referral.end(verbs.ReferResult{Success: true, ReferCode: 202, NotifyCode: 200})
		synctest.Wait()
		assert.Equal(t, []string{"answer", "refer sip:desk@example.com", "bye"}, b.leg.did)
		assert.ErrorIs(t, b.runner.Replace([]byte(response())), ErrNotModifiable, "nor one that has succeeded")
		b.close(errors.New("closed"))
	})
}

func TestACallWhoseReferHasFailedCanBeModified(t *testing.T) {
	modified(t, map[string][]any{
		"initiate": {response(referral)},
		"referComplete": {func(context.Context) (string, error) {
			time.Sleep(time.Second)
			return response(`<SpeakSentence>reply</SpeakSentence>`), nil
		}},
	}, func(t *testing.T, b *bench) {
		b.leg.referral.end(verbs.ReferResult{ReferCode: 486})
		synctest.Wait()
		require.Equal(t, []string{"initiate", "referComplete"}, b.events())
		require.NoError(t, b.runner.Replace([]byte(response(`<SpeakSentence>given</SpeakSentence>`))), "its outcome is known")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"answer", "refer sip:desk@example.com", "speak given", "bye"}, b.leg.did)
	})
}

func TestTheEndThroughTheAPIInterruptsARefer(t *testing.T) {
	modified(t, map[string][]any{
		"initiate":      {response(referral)},
		"referComplete": {func(context.Context) (string, error) { time.Sleep(5 * time.Second); return response(), nil }},
	}, func(t *testing.T, b *bench) {
		require.NoError(t, b.runner.Complete())
		synctest.Wait()
		assert.Equal(t, []string{"answer", "refer sip:desk@example.com", "bye"}, b.leg.did, "nobody waits for the application")
		assert.Equal(t, "failure", properties(t, b.app.asked[1].ev)["referCallStatus"])
		assert.ErrorIs(t, b.runner.Replace([]byte(response())), ErrNotModifiable)
		assert.ErrorIs(t, b.runner.Complete(), ErrNotModifiable)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		assert.Equal(t, "hangup", b.disconnect()["cause"])
	})
}

func TestACallWhoseDialogIsLostCannotBeModified(t *testing.T) {
	modified(t, map[string][]any{
		"initiate": {response(referral)}, "referComplete": {func(context.Context) (string, error) { time.Sleep(time.Second); return "", nil }},
	}, func(t *testing.T, b *bench) {
		b.leg.referral.end(verbs.ReferResult{ReferCode: 481, DialogLost: true})
		synctest.Wait()
		require.Equal(t, []string{"initiate", "referComplete"}, b.events())
		assert.ErrorIs(t, b.runner.Replace([]byte(response())), ErrNotModifiable)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, "error", b.disconnect()["cause"])
	})
}
