// Single bits flipped in the store's files: found, or harmless, never a wrong answer.
#include <fstream>

#include "store_fixture.h"

namespace mneme::storage {
namespace {

class OrderedStoreRot : public StoreTest {
 protected:
  void SetUp() override {
    random.seed(test_seed());
    open();
    for (int i = 0; i < 300; ++i) {
      const std::string key = "key" + std::to_string(i);
      for (Family family = 0; family < 4; ++family) {
        std::string value(family == 3 ? 1200 : 300, static_cast<char>('a' + i % 26));
        for (std::size_t at = 0; at < value.size(); at += 3) value[at] = static_cast<char>(random());
        ASSERT_OK(put(family, key, value));
        expected[family][key] = value;
      }
    }
    ASSERT_OK(store->flush());
    store.reset();
    for (const auto& entry : std::filesystem::directory_iterator(directory()))
      if (entry.path().extension() == ".sst" || entry.path().extension() == ".blob") files.push_back(entry.path());
    ASSERT_EQ(files.size(), 5u) << "four tables and a blob file";
  }

  void flip(const Path& path, std::uint64_t bit) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(bit / 8));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(bit / 8));
    stream.put(static_cast<char>(byte ^ (1 << bit % 8)));
    ASSERT_TRUE(stream.flush().good());
  }

  /// Reads everything both ways. Whether some read reported damage; a wrong answer fails the test.
  bool finds_damage() {
    auto opened = OrderedStore::open(directory(), options);
    if (!opened.ok()) {
      EXPECT_EQ(opened.status().code(), Code::Corruption) << opened.status().to_string();
      return true;
    }
    bool damaged = false;
    const auto note = [&](const Status& status) {
      EXPECT_EQ(status.code(), Code::Corruption) << status.to_string();
      damaged = true;
    };
    for (Family family = 0; family < 4; ++family) {
      for (const auto& [key, value] : expected[family]) {
        const auto found = (*opened)->get(family, key);
        if (!found.ok())
          note(found.status());
        else if (!found->has_value())
          ADD_FAILURE() << "a key is gone without a word";
        else
          EXPECT_EQ(value_of(**found), value);
      }
      const auto scanned = read_all(**opened, family);
      if (!scanned.ok())
        note(scanned.status());
      else
        EXPECT_EQ(*scanned, expected[family]);
    }
    return damaged;
  }

  std::mt19937_64 random;
  std::array<KeyValues, 4> expected;
  std::vector<Path> files;
};

TEST_F(OrderedStoreRot, GivesCorruptionOrTheRightValueForEveryFlippedBit) {
  ASSERT_FALSE(finds_damage());
  int found = 0;
  for (int i = 0; i < 300 && !HasFailure(); ++i) {
    const Path& path = files[random() % files.size()];
    const std::uint64_t bit = random() % (std::filesystem::file_size(path) * 8);
    SCOPED_TRACE(path.filename().string() + " bit " + std::to_string(bit));
    flip(path, bit);
    found += finds_damage();
    flip(path, bit);
  }
  std::cout << "flips found by reading: " << found << " of 300, the others were harmless\n";
  EXPECT_GT(found, 200);
}

TEST_F(OrderedStoreRot, VerifyNamesTheDamagedFile) {
  for (const Path& path : files) {
    flip(path, std::filesystem::file_size(path) * 4);  // in the middle: among the values
    auto opened = OrderedStore::open(directory(), options);
    const Status verified = opened.ok() ? (*opened)->verify_checksums() : opened.status();
    EXPECT_EQ(verified.code(), Code::Corruption) << path;
    if (path.extension() == ".sst") {
      EXPECT_NE(verified.message().find(path.filename().string()), std::string::npos) << verified.message();
    }
    flip(path, std::filesystem::file_size(path) * 4);
  }
}

TEST_F(OrderedStoreRot, RefusesATruncatedOrMissingTable) {
  const Path table = *std::find_if(files.begin(), files.end(), [](const Path& p) { return p.extension() == ".sst"; });
  const std::uint64_t size = std::filesystem::file_size(table);
  std::filesystem::copy_file(table, file("kept"));
  std::filesystem::resize_file(table, size / 2);
  {
    auto opened = OrderedStore::open(directory(), options);
    EXPECT_FALSE(opened.ok() && (*opened)->verify_checksums().ok());
  }
  std::filesystem::remove(table);
  {
    auto opened = OrderedStore::open(directory(), options);
    EXPECT_FALSE(opened.ok() && (*opened)->verify_checksums().ok());
  }
  std::filesystem::copy_file(file("kept"), table);
  EXPECT_FALSE(finds_damage());
}

}  // namespace
}  // namespace mneme::storage
