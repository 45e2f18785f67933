package endpoint

// BlockBytesHeld is how many bytes the bodies of block-wise transfers are
// accounted for.
func BlockBytesHeld(e *Endpoint) int { return e.transfers.held() }
