// go run hashes.go crc32 < keys.txt > crc32.tsv; go run hashes.go fnv1a < keys.txt > fnv1a.tsv
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/fnv"
	"os"
)

func main() {
	hashes := map[string]func() hash.Hash32{"crc32": crc32.NewIEEE, "fnv1a": fnv.New32a}
	keys := bufio.NewScanner(os.Stdin)
	for keys.Scan() {
		key, err := hex.DecodeString(keys.Text())
		if err != nil {
			panic(err)
		}
		hash := hashes[os.Args[1]]()
		hash.Write(key)
		fmt.Printf("%s\t%d\n", keys.Text(), hash.Sum32())
	}
}
