// How a person comes into Debian's SAO.

/** Until SAO shows its menu. */
export async function shown(page) {
  await page.waitForFunction(() => window.Sao?.Session.current_session?.session && Sao.main_menu_screen, undefined, { polling: 200 })
}

/** Fills what SAO asks for. */
export async function logIn(page, [login, password]) {
  await page.waitForFunction(() => window.jQuery?.('.modal:visible [id=database]:visible').val(), undefined, { polling: 200 })
  await page.locator('#login').fill(login)
  await page.locator('.modal:visible button[type=submit]').click()
  await givePassword(page, password)
  await shown(page)
}

export async function givePassword(page, password) {
  await page.locator('.modal:visible input[type=password]').fill(password)
  await page.keyboard.press('Enter')
}
