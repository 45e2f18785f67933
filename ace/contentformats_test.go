package ace

import "testing"

func TestContentFormats(t *testing.T) {
	t.Parallel()
	t.Run("AC-138,AI-011,AI-012 the content formats are those registered, and the tag of a scope follows from its own", func(t *testing.T) {
		t.Parallel()
		if ContentFormatACE != 19 || ContentFormatCBOR != 60 || ContentFormatCWT != 61 || ContentFormatProblem != 257 ||
			ContentFormatGroupcomm != 261 || ContentFormatTRL != 262 || ContentFormatAIFREST != 290 || ContentFormatAIFRESTJSON != 291 ||
			ContentFormatAIF != 297 || ContentFormatAIFJSON != 298 || scopeTag != 1668547115 {
			t.Fatal("another number")
		}
	})
}
