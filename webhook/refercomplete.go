package webhook

// Refer is the outcome of a <Refer>. A code of zero means that there was none: the property is left out.
type Refer struct {
	Success    bool
	ReferCode  int // status of the REFER itself
	NotifyCode int // final status that a NOTIFY reported
}

type referComplete struct {
	properties
	ReferCallStatus       string `json:"referCallStatus"`
	ReferSIPResponseCode  int    `json:"referSipResponseCode,omitempty"`
	NotifySIPResponseCode int    `json:"notifySipResponseCode,omitempty"`
}

// NewReferComplete makes the event that tells the application how a <Refer> ended.
func NewReferComplete(c Call, r Refer) Event {
	status := "failure"
	if r.Success {
		status = "success"
	}
	p := propertiesOf("referComplete", c)
	return build(p, &referComplete{p, status, r.ReferCode, r.NotifyCode})
}
