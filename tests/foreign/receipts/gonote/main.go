// SPDX-License-Identifier: Apache-2.0

// Gonote asks golang.org/x/mod/sumdb/note, which signed notes come from, whether a key signed a note. Each line of
// standard input is a JSON object with a note and a vkey; each line of standard output says true or false.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
)

func signed(text, vkey string) bool {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return false
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	return err == nil && len(opened.Sigs) == 1
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var asked struct{ Note, Vkey string }
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		fmt.Println(signed(asked.Note, asked.Vkey))
	}
}
