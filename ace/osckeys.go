package ace

// Labels of the registry OSCORE Security Context Parameters, as far as an OSCORE_Input_Material object has them (RFC 9203,
// Section 3.2.1).
const (
	oscID        = 0 // bstr
	oscVersion   = 1 // uint
	oscMS        = 2 // bstr
	oscHKDF      = 3 // tstr / int
	oscAlg       = 4 // tstr / int
	oscSalt      = 5 // bstr
	oscContextID = 6 // bstr
)
