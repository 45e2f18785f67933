package ace

import (
	"bytes"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

var (
	vectorN1  = unhex("018a278f7faab55a")
	vectorN2  = unhex("25a8991cd700ac01")
	vectorID1 = unhex("1645")
	vectorID2 = unhex("0000")
	vectorMS  = unhex("a1a2a3a4a5a6a7a8a9aaabacadaeafb0")
)

func vectorMaterial() OSCOREInputMaterial {
	return OSCOREInputMaterial{ID: []byte{1}, MasterSecret: secret.Hide(vectorMS), Salt: secret.Hide(unhex("5a175a175a175a17"))}
}

// keys derives Sender Key, Recipient Key and Common IV of p with the default algorithms.
func keys(t *testing.T, p oscore.Params) (sender, recipient, iv []byte) {
	t.Helper()
	derive := func(id []byte, typ string, n int) []byte {
		return must(oscore.DeriveKey(p.HKDF, p.MasterSecret, p.MasterSalt, id, p.IDContext, p.AEAD, typ, n))
	}
	return derive(p.SenderID, "Key", 16), derive(p.RecipientID, "Key", 16), derive([]byte{}, "IV", 13)
}

func TestContext(t *testing.T) {
	t.Parallel()
	t.Run("AO-050,AO-052 the Master Salt is salt and nonces as byte strings", func(t *testing.T) {
		t.Parallel()
		m := OSCOREInputMaterial{Salt: secret.Hide(unhex("f9af838368e353e78888e1426bd94e6f"))}
		wantBytes(t, m.masterSalt(vectorN1, vectorN2),
			"50f9af838368e353e78888e1426bd94e6f 48018a278f7faab55a 4825a8991cd700ac01")
	})
	t.Run("AO-003,AO-054,AO-056 the client derives the keys of the vector", func(t *testing.T) {
		t.Parallel()
		p := must(vectorMaterial().ClientContext(vectorN1, vectorN2, vectorID1, vectorID2))
		if !bytes.Equal(p.SenderID, vectorID2) || !bytes.Equal(p.RecipientID, vectorID1) || p.IDContext != nil {
			t.Fatalf("identifiers %x, %x", p.SenderID, p.RecipientID)
		}
		wantBytes(t, p.MasterSecret, "a1a2a3a4a5a6a7a8a9aaabacadaeafb0")
		s, r, iv := keys(t, p)
		wantBytes(t, s, "bca6c267221de6e43717466ea2f5310c")
		wantBytes(t, r, "7fbad52f5fd5b576529e99785a0fb92c")
		wantBytes(t, iv, "dcaec7dc0874e0e2459733cad0")
	})
	t.Run("AO-051,AO-055 the resource server derives the same, mirrored", func(t *testing.T) {
		t.Parallel()
		p := must(vectorMaterial().ServerContext(vectorN1, vectorN2, vectorID1, vectorID2))
		s, r, iv := keys(t, p)
		wantBytes(t, s, "7fbad52f5fd5b576529e99785a0fb92c")
		wantBytes(t, r, "bca6c267221de6e43717466ea2f5310c")
		wantBytes(t, iv, "dcaec7dc0874e0e2459733cad0")
	})
	t.Run("AO-053 an absent salt counts as the empty byte string", func(t *testing.T) {
		t.Parallel()
		m := vectorMaterial()
		m.Salt = secret.Hidden{}
		p := must(m.ClientContext(vectorN1, vectorN2, vectorID1, vectorID2))
		wantBytes(t, p.MasterSalt, "4048018a278f7faab55a4825a8991cd700ac01")
		s, r, iv := keys(t, p)
		wantBytes(t, s, "b3088a558e30512df3d8ce4b6f7564da")
		wantBytes(t, r, "7e1512b95486a6a8e435ba73076c42c1")
		wantBytes(t, iv, "84b61b002d96b862897e0c65a7")
	})
	t.Run("AO-056 algorithms and ID Context come from the material", func(t *testing.T) {
		t.Parallel()
		m := vectorMaterial()
		m.AEAD, m.HKDF, m.ContextID = cose.AlgA128GCM, cose.AlgHMAC512, unhex("c0ffee")
		p := must(m.ServerContext(vectorN1, vectorN2, vectorID1, vectorID2))
		if p.AEAD != cose.AlgA128GCM || p.HKDF != cose.AlgHMAC512 || !bytes.Equal(p.IDContext, m.ContextID) {
			t.Fatalf("%v %v %x", p.AEAD, p.HKDF, p.IDContext)
		}
	})
	t.Run("AO-058 equal identifiers derive nothing", func(t *testing.T) {
		t.Parallel()
		_, err := vectorMaterial().ClientContext(vectorN1, vectorN2, vectorID1, vectorID1)
		wantErr(t, err, ErrIdentifier)
	})
	t.Run("AO-057 a missing part derives nothing", func(t *testing.T) {
		t.Parallel()
		for i := range 4 {
			parts := [][]byte{vectorN1, vectorN2, vectorID1, vectorID2}
			parts[i] = nil
			_, err := vectorMaterial().ClientContext(parts[0], parts[1], parts[2], parts[3])
			wantErr(t, err, ErrInputMaterial)
		}
		_, err := OSCOREInputMaterial{}.ClientContext(vectorN1, vectorN2, vectorID1, vectorID2)
		wantErr(t, err, ErrInputMaterial)
	})
	t.Run("identifiers longer than the nonce allows derive nothing", func(t *testing.T) {
		t.Parallel()
		_, err := vectorMaterial().ServerContext(vectorN1, vectorN2, make([]byte, 8), vectorID2)
		wantErr(t, err, ErrIdentifier)
		m := vectorMaterial()
		m.AEAD = cose.AlgA128GCM // nonce of 12 bytes
		_, err = m.ServerContext(vectorN1, vectorN2, make([]byte, 7), vectorID2)
		wantErr(t, err, ErrIdentifier)
	})
	t.Run("both sides of a context understand each other", func(t *testing.T) {
		t.Parallel()
		c := must(oscore.NewContext(must(vectorMaterial().ClientContext(vectorN1, vectorN2, vectorID1, vectorID2)), oscore.NewEphemeralSequence()))
		s := must(oscore.NewContext(must(vectorMaterial().ServerContext(vectorN1, vectorN2, vectorID1, vectorID2)), oscore.NewEphemeralSequence()))
		if !bytes.Equal(c.SenderID(), s.RecipientID()) || !bytes.Equal(c.RecipientID(), s.SenderID()) {
			t.Fatal("identifiers do not match")
		}
	})
}
