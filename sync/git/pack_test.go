package git

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestADeltasResultIsMeasuredBeforeItIsMade(t *testing.T) {
	delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, 100), 1<<30), 0x90, 1)
	p := &prefix{}
	for i := range delta {
		_, _ = p.Write(delta[i : i+1])
	}
	if got := p.deltaSize(); got != 1<<30 {
		t.Errorf("deltaSize = %d, want %d", got, 1<<30)
	}
	for _, bad := range [][]byte{nil, {1}, {0x80}, bytes.Repeat([]byte{0xff}, 30)} {
		p := &prefix{}
		_, _ = p.Write(bad)
		if got := p.deltaSize(); got != -1 {
			t.Errorf("deltaSize of % x = %d, want -1", bad, got)
		}
	}
}
